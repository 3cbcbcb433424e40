"""`make demo`: the main job of Writ on real input, told step by step, every figure counted."""
