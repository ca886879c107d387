"""Commands of the registry: `taawon register …`, `taawon accounts …` and `taawon person …`."""
