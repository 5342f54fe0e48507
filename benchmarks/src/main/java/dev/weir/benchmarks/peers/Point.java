package dev.weir.benchmarks.peers;

/**
 * What is measured in one go: a prompt of {@code context} tokens through one sequence, then decode
 * steps of {@code batch} sequences that have that many tokens each.
 *
 * @param context tokens a sequence has when decoding begins
 * @param batch sequences that decode together
 */
record Point(int context, int batch) {
  /** Decode steps: at least 16, and on small batches as many as take about two seconds. */
  int steps() {
    return batch == 1 ? 48 : batch <= 4 ? 32 : batch <= 8 ? 24 : 16;
  }
}
