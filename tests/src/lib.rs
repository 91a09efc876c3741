//! The committee under test: whole clusters, vectors, real batches.
