//! `reset`: RSET drops the transaction and keeps the greeting. RFC 5321 4.1.1.5.

// rset = "RSET" CRLF                                                     RFC 5321 4.1.1.5
//
// There is nothing to do here: what it drops is its row in the vocabulary.
