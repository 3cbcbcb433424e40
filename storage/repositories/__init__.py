"""One file per noun; each speaks in the transaction it is given and hands out frozen records."""
