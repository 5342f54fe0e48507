package dev.weir.engine;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** The counters behind {@link EngineStatistics}; counting allocates nothing. */
final class Counters {
  final LongAdder accepted = new LongAdder();
  final LongAdder failed = new LongAdder();
  final LongAdder promptTokens = new LongAdder();
  final LongAdder generatedTokens = new LongAdder();
  final LongAdder evictions = new LongAdder();
  final LongAdder swapEvictions = new LongAdder();
  final LongAdder recomputedTokens = new LongAdder();
  final LongAdder iterations = new LongAdder();
  final LongAdder failedIterations = new LongAdder();
  final AtomicLong lastStepNanoTime = new AtomicLong();
  volatile boolean stepRunning;
  volatile long stepStartNanoTime;
  volatile int running;
  volatile int waiting;
  volatile int swapped;

  private final LongAdder[] rejected = adders(RejectionReason.values().length);
  private final LongAdder[] finished = adders(FinishReason.values().length);

  void rejected(RejectionReason reason) {
    rejected[reason.ordinal()].increment();
  }

  void finished(FinishReason reason) {
    finished[reason.ordinal()].increment();
  }

  Map<RejectionReason, Long> rejected() {
    Map<RejectionReason, Long> counts = new EnumMap<>(RejectionReason.class);
    for (RejectionReason reason : RejectionReason.values()) {
      counts.put(reason, rejected[reason.ordinal()].sum());
    }
    return counts;
  }

  Map<FinishReason, Long> finished() {
    Map<FinishReason, Long> counts = new EnumMap<>(FinishReason.class);
    for (FinishReason reason : FinishReason.values()) {
      counts.put(reason, finished[reason.ordinal()].sum());
    }
    return counts;
  }

  private static LongAdder[] adders(int count) {
    LongAdder[] adders = new LongAdder[count];
    for (int i = 0; i < count; i++) {
      adders[i] = new LongAdder();
    }
    return adders;
  }
}
