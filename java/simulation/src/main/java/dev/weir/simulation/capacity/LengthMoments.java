package dev.weir.simulation.capacity;

/**
 * What the fluid model needs to know of prompt length {@code p} and output length {@code S}, taken
 * from the requests themselves, so that the two may depend on each other.
 *
 * @param prompt {@code E[p]}, tokens
 * @param promptSquared {@code E[p^2]}
 * @param output {@code E[S]}, tokens
 * @param outputSquared {@code E[S^2]}
 * @param product {@code E[p S]}
 */
public record LengthMoments(
    double prompt, double promptSquared, double output, double outputSquared, double product) {
  /**
   * Of the requests with these lengths.
   *
   * @param promptTokens at least one
   * @param outputTokens as many
   */
  public static LengthMoments of(int[] promptTokens, int[] outputTokens) {
    double prompt = 0;
    double promptSquared = 0;
    double output = 0;
    double squared = 0;
    double product = 0;
    int count = promptTokens.length;
    for (int i = 0; i < count; i++) {
      prompt += promptTokens[i];
      promptSquared += (double) promptTokens[i] * promptTokens[i];
      output += outputTokens[i];
      squared += (double) outputTokens[i] * outputTokens[i];
      product += (double) promptTokens[i] * outputTokens[i];
    }
    return new LengthMoments(
        prompt / count, promptSquared / count, output / count, squared / count, product / count);
  }

  /**
   * {@code W = E[(S + 1)(p + S/2)] = E[pS] + E[p] + (E[S^2] + E[S])/2}, token-iterations a request
   * ({@code scheduling.md} section 2).
   */
  public double work() {
    return product + prompt + (outputSquared + output) / 2;
  }

  /** The same prompts, with outputs that are longer by a factor. */
  public LengthMoments withOutputsTimes(double factor) {
    return new LengthMoments(
        prompt, promptSquared, output * factor, outputSquared * factor * factor, product * factor);
  }
}
