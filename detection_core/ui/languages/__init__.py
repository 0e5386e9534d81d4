"""The page in other languages: one catalog a language, keyed by the English sentence, and what applies it in the browser."""
