"""The example images, and detection in the first one before the first visitor comes."""

from __future__ import annotations

import numpy as np

from detection_core.engine import Engine, Job
from detection_core.images.reading import read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec
from detection_core.models.model_key import usual_key
from detection_core.ui.components.client_values import mapping_of

# The first one has objects of several classes, including a person, so that both built-in models find something in it.
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
    """The path of the example that was clicked, from the event's data; the first example if a browser sent something else."""
    index = mapping_of(data).get("index")
    return str(EXAMPLE_PATHS[index] if isinstance(index, int) and 0 <= index < len(EXAMPLE_PATHS) else EXAMPLE_PATHS[0])


def warm_up(engine: Engine) -> Job:
    """Detects objects in the first example in the background, so that its result is ready when the page opens.

    Before that, a blank image is processed: a network's first run is slow, and its timing would mislead.

    Returns:
        The example's job.
    """
    spec = get_model_spec(usual_key(COCO_MODEL, engine.model_states()))
    engine.submit(read_image(np.zeros((480, 640, 3), np.uint8)), spec)
    return engine.submit(read_image(EXAMPLE_PATHS[0]), spec)
