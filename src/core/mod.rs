//! DECIDES: the model and how messages change it. Pure: no I/O, no clock, no widgets.
