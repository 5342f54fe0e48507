package dev.weir.cli.bench;

/** Is told how a run goes on, on the engine's thread: has to be quick. */
public interface RunProgress {
  /** Ignores it. */
  RunProgress NONE = (generatedTokens, running, waiting) -> {};

  /**
   * Called once an iteration.
   *
   * @param generatedTokens new tokens
   * @param running requests in the KV cache
   * @param waiting requests that wait
   */
  void iteration(int generatedTokens, int running, int waiting);
}
