package dev.weir.scheduling;

/**
 * A request as schedulers see it: lengths and progress, no text and no tokens.
 *
 * <p>The identity part never changes. The progress part is written by {@link IterationPlan} and by
 * the driver only; schedulers read it. Not thread-safe: owned by the driver's thread.
 *
 * <p>Tokens: a request with prompt {@code p} and {@code s} generated tokens needs {@code p + s}
 * tokens in the cache before its next token can be sampled. {@link #cachedTokens()} of them are
 * there; the {@link #pendingTokens() rest} is to be computed: the prompt of a new request, exactly
 * 1 for a decoding one, {@code p + s} for one that was evicted by recompute. There is no difference
 * in kind between prefill and decode.
 */
public final class Request {
  /** No true output length is known; see {@link #trueOutputTokens()}. */
  public static final int UNKNOWN = -1;

  private final long id;
  private final double arrivalTime;
  private final int promptTokens;
  private final int maxOutputTokens;
  private final int trueOutputTokens;

  private RequestState state = RequestState.WAITING;
  private int cachedTokens;
  private int generatedTokens;
  private int evictions;
  private long recomputedTokens;
  private int scheduledTokens;
  private Object schedulerState;
  private Object driverState;

  /**
   * @param id unique within a run
   * @param arrivalTime seconds
   * @param promptTokens at least 1
   * @param maxOutputTokens the limit that the client declared, at least 1
   * @param trueOutputTokens the output length if a trace knows it, else {@link #UNKNOWN}; only
   *     clairvoyant policies may read it
   */
  public Request(
      long id, double arrivalTime, int promptTokens, int maxOutputTokens, int trueOutputTokens) {
    if (promptTokens < 1) {
      throw new IllegalArgumentException(
          "promptTokens is " + promptTokens + ", must be at least 1");
    }
    if (maxOutputTokens < 1) {
      throw new IllegalArgumentException(
          "maxOutputTokens is " + maxOutputTokens + ", must be at least 1");
    }
    if (trueOutputTokens != UNKNOWN && trueOutputTokens < 1) {
      throw new IllegalArgumentException(
          "trueOutputTokens is " + trueOutputTokens + ", must be at least 1 or UNKNOWN");
    }
    this.id = id;
    this.arrivalTime = arrivalTime;
    this.promptTokens = promptTokens;
    this.maxOutputTokens = maxOutputTokens;
    this.trueOutputTokens = trueOutputTokens;
  }

  public long id() {
    return id;
  }

  /** Seconds, on the clock of {@link IterationPlan#now()}. */
  public double arrivalTime() {
    return arrivalTime;
  }

  public int promptTokens() {
    return promptTokens;
  }

  /** The most tokens this request may generate. */
  public int maxOutputTokens() {
    return maxOutputTokens;
  }

  /**
   * The number of tokens this request will generate, for clairvoyant baselines; {@link #UNKNOWN} in
   * a live engine.
   */
  public int trueOutputTokens() {
    return trueOutputTokens;
  }

  public RequestState state() {
    return state;
  }

  /**
   * Tokens of this request in the KV cache (or in the swap space, if {@link RequestState#SWAPPED}).
   */
  public int cachedTokens() {
    return cachedTokens;
  }

  /** Output tokens so far: the stage {@code s} of the theory. */
  public int generatedTokens() {
    return generatedTokens;
  }

  /**
   * Tokens still to be computed before the next output token: {@code promptTokens + generatedTokens
   * - cachedTokens}.
   */
  public int pendingTokens() {
    return promptTokens + generatedTokens - cachedTokens;
  }

  /**
   * Whether the prompt, and after an eviction everything generated since, is in the cache but for
   * the last token.
   */
  public boolean isDecoding() {
    return generatedTokens > 0 && pendingTokens() == 1;
  }

  /** How often this request lost its place in the pool. */
  public int evictions() {
    return evictions;
  }

  /** Cached tokens thrown away by evictions so far. */
  public long recomputedTokens() {
    return recomputedTokens;
  }

  /** Tokens that the plan under way computes for this request; 0 if it is not scheduled. */
  public int scheduledTokens() {
    return scheduledTokens;
  }

  /**
   * What the scheduler keeps with this request: a queue node, a segment. Its alone; null at
   * arrival.
   */
  public Object schedulerState() {
    return schedulerState;
  }

  /** See {@link #schedulerState()}. */
  public void setSchedulerState(Object schedulerState) {
    this.schedulerState = schedulerState;
  }

  /** What the driver keeps with this request. Its alone; null until the driver sets it. */
  public Object driverState() {
    return driverState;
  }

  /** See {@link #driverState()}. */
  public void setDriverState(Object driverState) {
    this.driverState = driverState;
  }

  /** For the driver: the request has ended and its blocks are free. */
  public void finish() {
    state = RequestState.FINISHED;
    scheduledTokens = 0;
  }

  void schedule(int tokens) {
    state = RequestState.RESIDENT;
    scheduledTokens = tokens;
  }

  void complete() {
    cachedTokens += scheduledTokens;
    scheduledTokens = 0;
    if (pendingTokens() == 0) {
      generatedTokens++;
    }
  }

  void abandon() {
    scheduledTokens = 0;
  }

  void evict() {
    state = RequestState.WAITING;
    recomputedTokens += cachedTokens;
    cachedTokens = 0;
    evictions++;
  }

  void swapOut() {
    state = RequestState.SWAPPED;
    evictions++;
  }

  void swapIn() {
    state = RequestState.RESIDENT;
  }

  @Override
  public String toString() {
    return "Request["
        + id
        + " "
        + state
        + " prompt="
        + promptTokens
        + " generated="
        + generatedTokens
        + "/"
        + maxOutputTokens
        + " cached="
        + cachedTokens
        + "]";
  }
}
