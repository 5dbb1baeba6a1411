//! Every decision as a pure function from facts to a verdict with its explanation.
