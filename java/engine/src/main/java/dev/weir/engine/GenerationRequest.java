package dev.weir.engine;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A prompt and how to continue it. Immutable; values are checked by {@link Engine#submit}, which
 * knows the limits.
 *
 * <p>The largest number of tokens is never clipped: a request whose prompt and output do not fit
 * the model's context is refused. {@link Builder#maxTokensUpToContext()} asks for as many as fit.
 */
public final class GenerationRequest {
  /** Stop strings in one request. */
  public static final int MAX_STOP_STRINGS = 16;

  /** Characters of one stop string. */
  public static final int MAX_STOP_LENGTH = 1024;

  private final Optional<String> text;
  private final Optional<int[]> ids;
  private final OptionalInt maxTokens;
  private final float temperature;
  private final int topK;
  private final float topP;
  private final float repetitionPenalty;
  private final OptionalLong seed;
  private final int topLogProbabilities;
  private final boolean ignoreEos;
  private final List<String> stop;
  private final Optional<Duration> deadline;
  private final OptionalInt knownOutputTokens;

  private GenerationRequest(Builder builder) {
    text = builder.text;
    ids = builder.ids;
    maxTokens = builder.maxTokens;
    temperature = builder.temperature;
    topK = builder.topK;
    topP = builder.topP;
    repetitionPenalty = builder.repetitionPenalty;
    seed = builder.seed;
    topLogProbabilities = builder.topLogProbabilities;
    ignoreEos = builder.ignoreEos;
    stop = builder.stop;
    deadline = builder.deadline;
    knownOutputTokens = builder.knownOutputTokens;
  }

  /** A request to continue {@code text} greedily by 16 tokens; the builder changes that. */
  public static Builder builder(String text) {
    return new Builder(Optional.of(text), Optional.empty());
  }

  /**
   * A request to continue these token ids, taken as they are: no begin-of-sequence token is added.
   */
  public static Builder builder(int... ids) {
    return new Builder(Optional.empty(), Optional.of(ids.clone()));
  }

  /** The prompt, if it is text. */
  public Optional<String> text() {
    return text;
  }

  /** The prompt, if it is ids. */
  public Optional<int[]> ids() {
    return ids.map(int[]::clone);
  }

  /** The most tokens to generate; empty for as many as the model's context has room for. */
  public OptionalInt maxTokens() {
    return maxTokens;
  }

  public float temperature() {
    return temperature;
  }

  public int topK() {
    return topK;
  }

  public float topP() {
    return topP;
  }

  public float repetitionPenalty() {
    return repetitionPenalty;
  }

  /** Empty for a seed of its own for every submission. */
  public OptionalLong seed() {
    return seed;
  }

  public int topLogProbabilities() {
    return topLogProbabilities;
  }

  public boolean ignoreEos() {
    return ignoreEos;
  }

  public List<String> stop() {
    return stop;
  }

  public Optional<Duration> deadline() {
    return deadline;
  }

  public OptionalInt knownOutputTokens() {
    return knownOutputTokens;
  }

  /** Collects the parameters of a {@link GenerationRequest}. Not thread-safe. */
  public static final class Builder {
    private final Optional<String> text;
    private final Optional<int[]> ids;
    private OptionalInt maxTokens = OptionalInt.of(16);
    private float temperature;
    private int topK;
    private float topP = 1;
    private float repetitionPenalty = 1;
    private OptionalLong seed = OptionalLong.empty();
    private int topLogProbabilities;
    private boolean ignoreEos;
    private List<String> stop = List.of();
    private Optional<Duration> deadline = Optional.empty();
    private OptionalInt knownOutputTokens = OptionalInt.empty();

    private Builder(Optional<String> text, Optional<int[]> ids) {
      this.text = text;
      this.ids = ids;
    }

    /** The most tokens to generate, at least 1; 16 if it is not called. */
    public Builder maxTokens(int maxTokens) {
      this.maxTokens = OptionalInt.of(maxTokens);
      return this;
    }

    /** As many tokens as the model's context has room for behind the prompt. */
    public Builder maxTokensUpToContext() {
      this.maxTokens = OptionalInt.empty();
      return this;
    }

    /** 0, the default, always takes the most likely token; otherwise finite and greater than 0. */
    public Builder temperature(float temperature) {
      this.temperature = temperature;
      return this;
    }

    /** Samples from the k most likely tokens only; 0, the default, from all. */
    public Builder topK(int topK) {
      this.topK = topK;
      return this;
    }

    /**
     * Samples from the smallest set of likely tokens whose probability is at least this; in (0, 1],
     * 1 by default.
     */
    public Builder topP(float topP) {
      this.topP = topP;
      return this;
    }

    /**
     * Logits of tokens that prompt or output contain are divided by this if positive and multiplied
     * if negative; finite and greater than 0, 1 (off) by default.
     */
    public Builder repetitionPenalty(float repetitionPenalty) {
      this.repetitionPenalty = repetitionPenalty;
      return this;
    }

    /**
     * The same seed, prompt and parameters give the same tokens, whatever else the engine is doing.
     */
    public Builder seed(long seed) {
      this.seed = OptionalLong.of(seed);
      return this;
    }

    /** How many of the most likely tokens to report with each token; 0 by default. */
    public Builder topLogProbabilities(int topLogProbabilities) {
      this.topLogProbabilities = topLogProbabilities;
      return this;
    }

    /**
     * Whether to go on after a token that ends a sequence: one of the model's end-of-sequence
     * tokens, or its begin-of-sequence token, with which models that were trained on packed
     * documents begin the next one.
     */
    public Builder ignoreEos(boolean ignoreEos) {
      this.ignoreEos = ignoreEos;
      return this;
    }

    /**
     * Ends the generation when its text contains one of these. The text is cut in front of it. At
     * most {@value #MAX_STOP_STRINGS}, each of 1 to {@value #MAX_STOP_LENGTH} characters.
     */
    public Builder stop(List<String> stop) {
      this.stop = List.copyOf(stop);
      return this;
    }

    /**
     * Ends the generation with {@link FinishReason#DEADLINE} this long after its submission;
     * positive.
     */
    public Builder deadline(Duration deadline) {
      this.deadline = Optional.of(Objects.requireNonNull(deadline, "deadline"));
      return this;
    }

    /** The output length that a trace knows, at least 1; only clairvoyant schedulers look at it. */
    public Builder knownOutputTokens(int knownOutputTokens) {
      this.knownOutputTokens = OptionalInt.of(knownOutputTokens);
      return this;
    }

    public GenerationRequest build() {
      return new GenerationRequest(this);
    }
  }
}
