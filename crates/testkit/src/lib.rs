//! What tests share: scratch folders, real servers on loopback ports, dialogue scripts.
