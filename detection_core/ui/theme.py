"""How the page looks: Gradio's Soft theme made ours."""

from gradio.themes import Soft
from gradio.themes.utils.fonts import LocalFont


def theme() -> Soft:
    """The theme; its fonts come with Gradio, so that it needs no outside connection."""
    return Soft(
        primary_hue="blue",
        secondary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=(LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"),
    ).set(
        # White on primary_500, Soft's own choice, has a contrast below 4.5.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        body_background_fill="*neutral_50",
        block_shadow="none",
        block_shadow_dark="none",
    )


CSS = """
.gradio-container { width: 100%; max-width: 1680px !important; margin: 0 auto; }
#masthead { display: flex; align-items: baseline; gap: 4px 16px; flex-wrap: wrap; padding: 4px 0; }
#masthead h1 { font-size: 1.375rem; font-weight: 700; letter-spacing: -0.01em; margin: 0; }
#masthead p { margin: 0; color: var(--body-text-color-subdued); }
footer { margin-top: 24px; }
"""
