package dev.weir.benchmarks.peers;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** Says on standard error what is done and how long the rest will take. */
final class Progress {
  private final int total;
  private final int rounds;
  private final Map<Object, Long> lastNanoseconds = new HashMap<>();
  private final Map<Object, Integer> timesDone = new HashMap<>();
  private int done;
  private long spentNanoseconds;

  /**
   * @param total pieces of work
   * @param rounds how often each piece comes
   */
  Progress(int total, int rounds) {
    this.total = total;
    this.rounds = rounds;
  }

  /**
   * A piece of work is done.
   *
   * @param piece the same object in each round
   * @param nanoseconds how long it took
   */
  void done(Object piece, long nanoseconds, String text) {
    done++;
    spentNanoseconds += nanoseconds;
    lastNanoseconds.put(piece, nanoseconds);
    timesDone.merge(piece, 1, Integer::sum);
    System.err.printf("[%d/%d, %s left] %s%n", done, total, text(left()), text);
  }

  /** What was done before takes as long again, anything else as long as the average. */
  private Duration left() {
    long nanoseconds = 0;
    int counted = 0;
    for (Map.Entry<Object, Integer> piece : timesDone.entrySet()) {
      int times = rounds - piece.getValue();
      nanoseconds += times * lastNanoseconds.get(piece.getKey());
      counted += times;
    }
    int others = total - done - counted;
    return Duration.ofNanos(nanoseconds + others * (spentNanoseconds / done));
  }

  private static String text(Duration duration) {
    return duration.toMinutes() > 0 ? duration.toMinutes() + " min" : duration.toSeconds() + " s";
  }
}
