package dev.weir.scheduling;

/**
 * Requests with the same lengths: class {@code j} of the theory, for loads in which prompt and
 * output length depend on each other, and for policies that know output lengths at arrival.
 *
 * @param arrivalRate {@code lambda_j}, requests a second, finite and greater than 0
 * @param promptTokens {@code l_j}, tokens, at least 1
 * @param outputTokens {@code l'_j}, tokens, at least 1
 */
public record RequestClass(double arrivalRate, int promptTokens, int outputTokens) {
  public RequestClass {
    if (!(arrivalRate > 0) || Double.isInfinite(arrivalRate)) {
      throw new IllegalArgumentException(
          "arrivalRate is " + arrivalRate + ", must be finite and greater than 0");
    }
    if (promptTokens < 1) {
      throw new IllegalArgumentException(
          "promptTokens is " + promptTokens + ", must be at least 1");
    }
    if (outputTokens < 1) {
      throw new IllegalArgumentException(
          "outputTokens is " + outputTokens + ", must be at least 1");
    }
  }

  /** {@code w_j = (l' + 1)(l + l'/2)}, token-iterations of one request. */
  public double work() {
    return (outputTokens + 1.0) * (promptTokens + outputTokens / 2.0);
  }
}
