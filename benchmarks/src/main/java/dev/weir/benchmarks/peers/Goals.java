package dev.weir.benchmarks.peers;

/** How many times a peer's rate Weir is meant to reach; NaN where no goal was set. */
final class Goals {
  /** Prompt processing against llama.cpp. */
  static final double PROMPT = 1.5;

  private Goals() {}

  /** Decode against llama.cpp. */
  static double decode(int batch) {
    if (batch == 1) {
      return 1.0;
    }
    if (batch >= 8 && batch <= 16) {
      return 1.5;
    }
    return batch >= 32 && batch <= 64 ? 1.8 : Double.NaN;
  }

  /** Decode against Jlama, whose sequences run one after another. */
  static double jlama(int batch) {
    return batch == 1 ? 3 : batch == 16 ? 10 : Double.NaN;
  }
}
