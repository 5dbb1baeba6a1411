//! Sends mail: from the spool to an outcome for each recipient.
