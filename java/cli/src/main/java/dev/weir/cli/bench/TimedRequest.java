package dev.weir.cli.bench;

import dev.weir.engine.GenerationRequest;
import dev.weir.engine.RejectionReason;
import java.util.Objects;
import java.util.Optional;

/**
 * A request and when to submit it.
 *
 * @param seconds after the start of the run, at least 0
 * @param request what to submit
 * @param refusal why {@code request} is empty: it is so long that its prompt was never made
 * @param promptTokens length of its prompt
 * @param outputTokens the most tokens that it may generate
 */
public record TimedRequest(
    double seconds,
    Optional<GenerationRequest> request,
    Optional<RejectionReason> refusal,
    int promptTokens,
    int outputTokens) {
  /** Checks that there is either a request or a refusal. */
  public TimedRequest {
    if (request.isPresent() == refusal.isPresent()) {
      throw new IllegalArgumentException("either request or refusal must be present");
    }
  }

  /** A request to submit. */
  public static TimedRequest of(
      double seconds, GenerationRequest request, int promptTokens, int outputTokens) {
    return new TimedRequest(
        seconds, Optional.of(request), Optional.empty(), promptTokens, outputTokens);
  }

  /** A request that is known to be refused, and counted as such without being made. */
  public static TimedRequest refused(
      double seconds, RejectionReason reason, int promptTokens, int outputTokens) {
    return new TimedRequest(
        seconds,
        Optional.empty(),
        Optional.of(Objects.requireNonNull(reason, "reason")),
        promptTokens,
        outputTokens);
  }

  TimedRequest atOnce() {
    return new TimedRequest(0, request, refusal, promptTokens, outputTokens);
  }
}
