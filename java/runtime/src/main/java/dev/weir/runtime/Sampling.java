package dev.weir.runtime;

/**
 * How the next token is chosen from the logits. The filters apply in this order: repetition
 * penalty, temperature, top-k, top-p.
 *
 * @param temperature divides the logits; 0 = greedy, the most likely token (then topK, topP and
 *     seed are not looked at). Finite, at least 0
 * @param topK keep the k most likely tokens; 0 = all
 * @param topP keep the smallest set of most likely tokens whose probabilities add up to at least
 *     this; in (0, 1]
 * @param repetitionPenalty logits of tokens that are in the sequence already are divided by it when
 *     positive and multiplied when negative; 1 = off. Finite, greater than 0
 * @param seed the choice depends on the seed and the position of the token in its sequence, and on
 *     nothing else
 * @param topLogProbabilities how many most likely tokens to report, 0 to 64
 */
public record Sampling(
    float temperature,
    int topK,
    float topP,
    float repetitionPenalty,
    long seed,
    int topLogProbabilities) {
  /** The most tokens that can be reported for one position. */
  public static final int MAX_TOP_LOG_PROBABILITIES = 64;

  private static final Sampling GREEDY = new Sampling(0, 0, 1, 1, 0, 0);

  /**
   * @throws InvalidArgumentException if a value is out of range
   */
  public Sampling {
    if (!(temperature >= 0) || Float.isInfinite(temperature)) {
      throw new InvalidArgumentException(
          "temperature is " + temperature + ", must be finite and at least 0");
    }
    if (topK < 0) {
      throw new InvalidArgumentException(
          "topK is " + topK + ", must be at least 0 (0 = all tokens)");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new InvalidArgumentException(
          "topP is " + topP + ", must be greater than 0 and at most 1");
    }
    if (!(repetitionPenalty > 0) || Float.isInfinite(repetitionPenalty)) {
      throw new InvalidArgumentException(
          "repetitionPenalty is " + repetitionPenalty + ", must be finite and greater than 0");
    }
    if (topLogProbabilities < 0 || topLogProbabilities > MAX_TOP_LOG_PROBABILITIES) {
      throw new InvalidArgumentException(
          "topLogProbabilities is "
              + topLogProbabilities
              + ", must be from 0 to "
              + MAX_TOP_LOG_PROBABILITIES);
    }
  }

  /** The most likely token, no penalty, nothing reported but the token. */
  public static Sampling greedy() {
    return GREEDY;
  }

  public Sampling withTemperature(float temperature) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }

  public Sampling withTopK(int topK) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }

  public Sampling withTopP(float topP) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }

  public Sampling withRepetitionPenalty(float repetitionPenalty) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }

  public Sampling withSeed(long seed) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }

  public Sampling withTopLogProbabilities(int topLogProbabilities) {
    return new Sampling(temperature, topK, topP, repetitionPenalty, seed, topLogProbabilities);
  }
}
