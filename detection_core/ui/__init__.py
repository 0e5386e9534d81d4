"""The page: all Gradio code lives here."""
