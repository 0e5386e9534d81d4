"""The example images, and the first of them looked at before anybody asks."""

from __future__ import annotations

import numpy as np

from detection_core.engine import Engine, Job
from detection_core.images.reading import read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec
from detection_core.models.precision import usual_key

# The first has objects of several classes, a person among them, so that both built-in models find something in it.
EXAMPLES = {
    "Grace Hopper": ASSETS / "examples" / "grace_hopper.jpg",
    "Horses": ASSETS / "examples" / "horses.jpg",
    "Salon": ASSETS / "examples" / "salon.jpg",
    "Dogs": ASSETS / "examples" / "dogs.jpg",
    "Wine": ASSETS / "examples" / "wine.jpg",
    "Square": ASSETS / "examples" / "square.jpg",
    "Astronaut": ASSETS / "examples" / "astronaut.jpg",
    "Cameraman": ASSETS / "examples" / "cameraman.jpg",
    "Cat": ASSETS / "examples" / "chelsea.jpg",
    "Coffee": ASSETS / "examples" / "coffee.jpg",
}
EXAMPLE_PATHS = list(EXAMPLES.values())


def clicked_example(data: object) -> str:
    """The path of the example that an event of the strip is about; the first where a browser sent something else."""
    index = data.get("index") if isinstance(data, dict) else None
    return str(EXAMPLE_PATHS[index] if isinstance(index, int) and 0 <= index < len(EXAMPLE_PATHS) else EXAMPLE_PATHS[0])


def warm_up(engine: Engine) -> Job:
    """Looks at the first example in the background, so that its result is ready when the page is.

    A blank image goes before it: the first pass through a network is slow, and its timing would mislead.

    Returns:
        The example's job.
    """
    spec = get_model_spec(usual_key(COCO_MODEL, engine.model_states()))
    engine.submit(read_image(np.zeros((480, 640, 3), np.uint8)), spec)
    return engine.submit(read_image(EXAMPLE_PATHS[0]), spec)
