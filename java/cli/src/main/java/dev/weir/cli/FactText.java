package dev.weir.cli;

import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.scheduling.KvCapacity;
import java.util.List;
import java.util.stream.Collectors;

/** Facts as several commands print them. */
final class FactText {
  private FactText() {}

  /** A line for each fact, the values below each other. */
  static String lines(List<Fact> facts) {
    int width = facts.stream().mapToInt(fact -> fact.label().length()).max().orElse(0);
    return facts.stream()
        .map(fact -> String.format("%-" + width + "s  %s%n", fact.label(), fact.value()))
        .collect(Collectors.joining());
  }

  /** Facts, an empty line and a table. */
  static String above(List<Fact> facts, String table) {
    return lines(facts) + System.lineSeparator() + table;
  }

  /** The size of a pool. */
  static String pool(KvCapacity memory) {
    return Format.count(memory.blocks())
        + " blocks of "
        + memory.blockSize()
        + " tokens = "
        + Format.count(memory.tokens())
        + " tokens";
  }
}
