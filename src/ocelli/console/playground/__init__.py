"""One picture, asked once or by several: the answers, side by side where there are more."""
