"""The page's theme: Gradio's Soft theme with changes."""

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
        button_primary_background_fill_hover_dark="*primary_700",
        body_background_fill="*neutral_50",
        # Soft's neutral_400 has a contrast of 2.6 on white.
        body_text_color_subdued="*neutral_500",
        # Likewise primary_500 for labels.
        block_label_text_color="*primary_700",
        block_shadow="none",
        block_shadow_dark="none",
    )


# Media rules are nested: in those that are not, Gradio finds nothing outside its `.contain`.
CSS = """
.gradio-container { width: 100%; }
.gradio-container .main.app {
  max-width: 1760px;
  margin: 0 auto;
  padding: 12px 24px 24px;
  @media (max-width: 640px) { padding: 8px 12px 24px; }
}
.tab-container > button {
  @media (max-width: 640px) { padding: 0 2vw; }
  @media (max-width: 480px) { padding: 0 0.8vw; font-size: 14px; }
  @media (max-width: 360px) { padding: 0 2px; font-size: 12px; }
}
/* German and Spanish words are longer. */
.tab-container:not(:lang(en)) > button {
  @media (max-width: 480px) { padding: 0 2px; font-size: 13px; }
  @media (max-width: 360px) { padding: 0 1px; font-size: 12px; }
}
.tab-container {
  @media (max-width: 480px) { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; }
  > button { @media (max-width: 480px) { flex: none; } }
}
.gradio-container .html-container { padding: 0; }
.workbench { gap: 20px; }
.workbench > .inputs {
  flex: 0 0 320px;
  @media (max-width: 800px) { flex: 1 1 100%; }
}
#masthead > div > div { display: flex; align-items: baseline; gap: 0 14px; flex-wrap: wrap; }
#masthead h1 { font-size: 1.375rem; font-weight: 700; letter-spacing: -0.01em; margin: 0; color: var(--body-text-color); }
#masthead p { margin: 0; color: var(--body-text-color-subdued); }
.section h2 { font-size: 1.125rem; font-weight: 700; margin: 16px 0 4px; color: var(--body-text-color); }
.section p { margin: 0 0 8px; max-width: 72ch; color: var(--body-text-color-subdued); }
.fine-print, .fine-print p { font-size: 13px; line-height: 1.45; color: var(--body-text-color-subdued); }
#accuracy-cost figure { margin: 0; }
#accuracy-cost svg { display: block; width: 100%; height: auto; color: var(--body-text-color); }
#accuracy-cost figcaption { margin-top: 8px; max-width: 88ch; font-size: 13px; line-height: 1.45; color: var(--body-text-color-subdued); }
#accuracy-cost .wide { @media (max-width: 1160px) { display: none; } }
#accuracy-cost .middle { @media (max-width: 640px) or (min-width: 1160.02px) { display: none; } }
#accuracy-cost .narrow { @media (min-width: 640.02px) { display: none; } }
.gradio-container button:is(.icon, .icon-button, .label-wrap) { min-width: 24px; min-height: 24px; }
.gradio-container *, .gradio-container *::before, .gradio-container *::after {
  @media (prefers-reduced-motion: reduce) { animation: none !important; transition: none !important; scroll-behavior: auto !important; }
}
footer .divider { @media (max-width: 640px) { display: none; } }
"""
