package dev.weir.benchmarks.peers;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.benchmarks.peers.Results.Engine;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ReportTest {
  private final Results results = new Results();

  @Test
  void comparesMediansWithTheFasterSettingOfLlama() {
    Point point = new Point(128, 16);
    for (double rate : List.of(90, 100, 70)) {
      results.add(Engine.LLAMA_FLASH, point, new Rates(200, rate));
    }
    for (double rate : List.of(80, 200, 85)) {
      results.add(Engine.LLAMA_PLAIN, point, new Rates(100, rate));
    }
    for (double rate : List.of(135, 10, 400)) {
      results.add(Engine.WEIR, point, new Rates(299, rate));
    }

    assertThat(rows("decode"))
        .containsExactly(
            "decode 128 16 90.0 (70.0 to 100.0) flash 135.0 (10.0 to 400.0) 1.50 1.5 reached");
    assertThat(rows("prompt"))
        .containsExactly(
            "prompt 128 1 200.0 (200.0 to 200.0) flash 299.0 (299.0 to 299.0) 1.50 1.5 missed");
  }

  @Test
  void withoutAPeerThereIsNoRatio() {
    results.add(Engine.WEIR, new Point(128, 16), new Rates(300, 150));

    assertThat(rows("decode")).containsExactly("decode 128 16 - 150.0 (150.0 to 150.0) - 1.5");
  }

  @Test
  void jlamaIsComparedAtTheRateOfOneSequence() {
    results.add(Engine.JLAMA, new Point(128, 1), new Rates(30, 8));
    results.add(Engine.WEIR, new Point(128, 16), new Rates(300, 79.9));

    assertThat(rows("decode"))
        .contains("decode 128 16 8.0 (8.0 to 8.0) 79.9 (79.9 to 79.9) 9.99 10.0 missed");
  }

  /** The lines of a kind with one space between cells. */
  private List<String> rows(String kind) {
    return new Report(Map.of(), List.of(128), List.of(16), Map.of("r1b", results))
        .text()
        .lines()
        .filter(line -> line.startsWith(kind))
        .map(line -> line.replaceAll(" +", " "))
        .toList();
  }
}
