package dev.weir.cli.report;

import dev.weir.scheduling.HoldReason;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** Why requests wait, in words. */
public final class HoldText {
  private HoldText() {}

  /** The entries of a decision log by reason, the most frequent one first. */
  public static List<RunChart.Hold> of(Map<HoldReason, Long> counts) {
    return counts.entrySet().stream()
        .sorted(Map.Entry.<HoldReason, Long>comparingByValue(Comparator.reverseOrder()))
        .map(e -> new RunChart.Hold(e.getKey().name(), text(e.getKey()), e.getValue()))
        .toList();
  }

  private static String text(HoldReason reason) {
    return switch (reason) {
      case SEQUENCE_LIMIT -> "the iteration has the largest number of sequences";
      case TOKEN_BUDGET -> "the token budget of the iteration is spent";
      case MEMORY -> "its blocks do not fit into the free part of the pool";
      case MEMORY_BUFFER -> "it would take memory kept for the growth of others";
      case THRESHOLD -> "too few wait at the entrance of its segment";
      case SEGMENT_FULL -> "its segment holds as many as its threshold allows";
      case PACING -> "admissions are paced";
      case BATCH_CLOSED -> "the running batch admits nobody before it ends";
    };
  }
}
