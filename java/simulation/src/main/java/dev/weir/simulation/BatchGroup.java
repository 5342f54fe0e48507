package dev.weir.simulation;

/**
 * Requests of a batch that do the same.
 *
 * @param requests how many, at least 1
 * @param tokens of a decoding request its context, the new token included; of a prefilling one the
 *     tokens of its prompt that it computes; at least 1
 * @param cached tokens that a prefilling request has in the cache already; {@link #DECODING} for
 *     requests that decode
 */
public record BatchGroup(int requests, int tokens, int cached) {
  /** Not a number of cached tokens: these requests decode. */
  public static final int DECODING = -1;

  /** Checks the numbers. */
  public BatchGroup {
    if (requests < 1 || tokens < 1 || cached < DECODING) {
      throw new IllegalArgumentException(
          "requests is "
              + requests
              + ", tokens is "
              + tokens
              + " and cached is "
              + cached
              + ", must be at least 1, 1 and 0");
    }
  }

  /**
   * Requests that decode.
   *
   * @param context tokens of each in the cache, the new one included
   */
  public static BatchGroup decoding(int requests, int context) {
    return new BatchGroup(requests, context, DECODING);
  }

  /**
   * Requests that prefill.
   *
   * @param tokens tokens that each computes
   * @param cached tokens of each that are in the cache already
   */
  public static BatchGroup prefilling(int requests, int tokens, int cached) {
    if (cached < 0) {
      throw new IllegalArgumentException("cached is " + cached + ", must be at least 0");
    }
    return new BatchGroup(requests, tokens, cached);
  }

  /** Whether these requests decode. */
  public boolean decodes() {
    return cached == DECODING;
  }

  /** Tokens that all of them compute together. */
  public long computedTokens() {
    return decodes() ? requests : (long) requests * tokens;
  }

  /** Tokens of each in the cache before the iteration. */
  public int before() {
    return decodes() ? tokens - 1 : cached;
  }

  /** Tokens of each in the cache after the iteration. */
  public int after() {
    return decodes() ? tokens : cached + tokens;
  }

  /** Adds these requests to a batch. */
  void addTo(BatchShape batch) {
    for (int i = 0; i < requests; i++) {
      if (decodes()) {
        batch.addDecode(tokens);
      } else {
        batch.addPrefill(tokens, cached);
      }
    }
  }

  /** In the notation of {@link BatchNotation}. */
  @Override
  public String toString() {
    return decodes() ? "D" + requests + "x" + tokens : "P" + requests + "x" + tokens + "@" + cached;
  }
}
