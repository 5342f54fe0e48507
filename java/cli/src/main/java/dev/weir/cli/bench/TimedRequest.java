package dev.weir.cli.bench;

import dev.weir.engine.GenerationRequest;
import java.util.Objects;

/**
 * A request and when to submit it.
 *
 * @param seconds after the start of the run, at least 0
 * @param request what to submit
 * @param promptTokens length of its prompt
 * @param outputTokens the most tokens that it may generate
 */
public record TimedRequest(
    double seconds, GenerationRequest request, int promptTokens, int outputTokens) {
  /** Checks that there is a request. */
  public TimedRequest {
    Objects.requireNonNull(request, "request");
  }
}
