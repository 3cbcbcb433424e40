"""Events of the record, sent to addresses that asked for them."""
