package dev.weir.simulation.experiment;

import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Nested WAIT as the authors of arXiv 2504.11320 simulated it ("modified nested" in the logs of
 * github.com/Luoxiaogan/vidur_or), for repeating what they published. Not a policy to serve with:
 * requests can wait forever.
 *
 * <p>A total limit on the requests of a batch is shared out among the segments in proportion to
 * their stages times the rate of requests that reach them. Rounded up and divided by the number of
 * stages it is the limit of a stage, rounded down the limit of the segment. In each iteration the
 * segments are walked in order. One whose entrance holds fewer requests than the limit of a stage,
 * and than its own limit leaves room for, ends the walk. Otherwise its stages advance up to their
 * limit, and its entrance no more than there is room for. A segment whose limit is rounded down to
 * 0 so never advances anybody.
 *
 * <p>There is no check of the memory, which must be large enough.
 */
final class PublishedNestedWait implements Scheduler {
  private final int[] boundaries;
  private final int[] segmentLimits;
  private final int[] stageLimits;

  /** By number of generated tokens; at 0 those who wait for their prompt. */
  private final List<Deque<Request>> stages;

  /**
   * @param boundaries last stage of each segment, ascending; no output is longer than the last one
   * @param segmentCaps limit of each segment before rounding
   */
  PublishedNestedWait(int[] boundaries, double[] segmentCaps) {
    this.boundaries = boundaries.clone();
    segmentLimits = Arrays.stream(segmentCaps).mapToInt(cap -> (int) cap).toArray();
    stageLimits =
        IntStream.range(0, boundaries.length)
            .map(k -> (int) Math.ceil(segmentCaps[k] / (boundaries[k] - start(k))))
            .toArray();
    int last = boundaries[boundaries.length - 1];
    stages =
        IntStream.rangeClosed(0, last).<Deque<Request>>mapToObj(_ -> new ArrayDeque<>()).toList();
  }

  private int start(int segment) {
    return segment == 0 ? 0 : boundaries[segment - 1];
  }

  /** Requests that all segments together may have in a batch. */
  int batchLimit() {
    return Arrays.stream(segmentLimits).sum();
  }

  @Override
  public void arrived(Request request, double now) {
    stages.getFirst().add(request);
  }

  @Override
  public void departed(Request request, double now) {
    stages.get(request.generatedTokens()).remove(request);
  }

  @Override
  public void plan(IterationPlan plan) {
    List<Request> advancing = new ArrayList<>();
    for (int k = 0; k < boundaries.length; k++) {
      int room = segmentLimits[k];
      for (int stage = start(k) + 1; stage < boundaries[k]; stage++) {
        room -= stages.get(stage).size();
      }
      if (stages.get(start(k)).size() < Math.min(stageLimits[k], room)) {
        break;
      }
      take(start(k), Math.min(stageLimits[k], room), advancing);
      for (int stage = start(k) + 1; stage < boundaries[k]; stage++) {
        take(stage, stageLimits[k], advancing);
      }
    }
    for (Request request : advancing) {
      if (!plan.schedule(request, request.pendingTokens())) {
        throw new IllegalStateException("the iteration or the pool is too small for " + request);
      }
      stages.get(request.generatedTokens() + 1).add(request);
    }
  }

  private void take(int stage, int limit, List<Request> advancing) {
    Deque<Request> requests = stages.get(stage);
    for (int i = 0; i < limit && !requests.isEmpty(); i++) {
      advancing.add(requests.poll());
    }
  }
}
