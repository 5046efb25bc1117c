//! DOES: the loop, effects, input, terminal, signals, recorder, clipboard.
