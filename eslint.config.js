// Rules for the browser's modules and their tests.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: [".venv/", "node_modules/"] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "max-lines": ["error", 250],
      "no-shadow": "error",
      "no-multiple-empty-lines": ["error", { max: 1 }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  { files: ["detection_core/ui/**/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["tests/js/**/*.js"], languageOptions: { globals: globals.node } },
];
