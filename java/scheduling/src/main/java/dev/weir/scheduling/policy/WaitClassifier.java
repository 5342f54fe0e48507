package dev.weir.scheduling.policy;

import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.fluid.WaitThresholds;
import java.util.List;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/**
 * Finds the class of a request by its prompt and output length: the class of exactly these lengths
 * if there is one, else the nearest that covers both, which is that with the least work. If none
 * does, the shortest output that covers the request's decides, and after that the longest output.
 */
final class WaitClassifier implements ToIntFunction<Request> {
  private final List<RequestClass> classes;

  /** In the order in which {@link WaitThresholds} numbers them: ascending work. */
  WaitClassifier(WaitThresholds thresholds) {
    classes = IntStream.range(0, thresholds.size()).mapToObj(thresholds::requestClass).toList();
  }

  /** What is known of the output at arrival: its length in a trace, else the declared maximum. */
  static int outputTokens(Request request) {
    return request.trueOutputTokens() == Request.UNKNOWN
        ? request.maxOutputTokens()
        : request.trueOutputTokens();
  }

  @Override
  public int applyAsInt(Request request) {
    int output = outputTokens(request);
    int best = -1;
    for (int j = 0; j < classes.size(); j++) {
      RequestClass c = classes.get(j);
      // Work grows with both lengths, so an exact match comes before all others that cover.
      if (c.outputTokens() >= output && c.promptTokens() >= request.promptTokens()) {
        return j;
      }
      if (best < 0 || isNearer(c.outputTokens(), classes.get(best).outputTokens(), output)) {
        best = j;
      }
    }
    return best;
  }

  private static boolean isNearer(int candidate, int best, int output) {
    return candidate >= output ? best < output || candidate < best : candidate > best;
  }
}
