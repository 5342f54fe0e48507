package dev.weir.simulation;

/**
 * The sums over the requests of one batch that the time of an iteration depends on. Filled again
 * for each iteration; filling allocates nothing. Not thread-safe.
 *
 * <p>All sums are in tokens. A decoding request counts with its <em>context</em>: the tokens in the
 * cache once the iteration has run. A prefilling one counts with the tokens that were in the cache
 * before.
 */
public final class BatchShape {
  /** Grid on which profiles know KV lengths, in tokens. */
  static final int KV_GRID = 64;

  private int decodes;
  private int prefills;
  private int prefillTokens;
  private long decodeContext;
  private long prefillCached;
  private long prefillCachedOnGrid;
  private long prefillSquares;
  private long prefillPairs;

  /** Empties the batch. */
  public void clear() {
    decodes = 0;
    prefills = 0;
    prefillTokens = 0;
    decodeContext = 0;
    prefillCached = 0;
    prefillCachedOnGrid = 0;
    prefillSquares = 0;
    prefillPairs = 0;
  }

  /**
   * Adds a request that computes one token.
   *
   * @param context its tokens in the cache, that one included
   */
  public void addDecode(int context) {
    decodes++;
    decodeContext += context;
  }

  /**
   * Adds a request that computes part of its prompt.
   *
   * @param tokens tokens that it computes
   * @param cached tokens that are in the cache already
   */
  public void addPrefill(int tokens, int cached) {
    prefills++;
    prefillTokens += tokens;
    prefillCached += cached;
    prefillCachedOnGrid += (cached + KV_GRID - 1) & -KV_GRID;
    prefillSquares += (long) tokens * tokens;
    prefillPairs += (long) tokens * cached + (long) tokens * (tokens + 1L) / 2;
  }

  /** Requests in the batch. */
  public int requests() {
    return decodes + prefills;
  }

  /** Decoding requests, which is also the number of decode tokens. */
  public int decodes() {
    return decodes;
  }

  /** Prefilling requests. */
  public int prefills() {
    return prefills;
  }

  /** Tokens computed by prefilling requests. */
  public int prefillTokens() {
    return prefillTokens;
  }

  /** Tokens computed in the iteration. */
  public int tokens() {
    return prefillTokens + decodes;
  }

  /** Sum of the contexts of decoding requests. */
  public long decodeContext() {
    return decodeContext;
  }

  /** Tokens of the batch that are in the cache once the iteration has run. */
  public long context() {
    return decodeContext + prefillCached + prefillTokens;
  }

  /** Sum over prefilling requests of cached tokens, each rounded up to the grid of 64. */
  long prefillCachedOnGrid() {
    return prefillCachedOnGrid;
  }

  /** Sum over prefilling requests of the square of their tokens. */
  long prefillSquares() {
    return prefillSquares;
  }

  /** Pairs of a prefilled token and a token that it attends to, itself included. */
  public long prefillPairs() {
    return prefillPairs;
  }
}
