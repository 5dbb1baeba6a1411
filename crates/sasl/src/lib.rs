//! SASL mechanisms without I/O: they ask their driver for credentials.
