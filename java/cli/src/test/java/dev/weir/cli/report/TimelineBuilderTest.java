package dev.weir.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TimelineBuilderTest {
  @Test
  void aShortRunIsKeptWhole() {
    TimelineBuilder builder = new TimelineBuilder();
    builder.add(0.1, 10, 1, 2, 0);
    builder.add(0.2, 30, 3, 4, 5);
    assertThat(builder.timeline().t()).containsExactly(0.1, 0.2);
    assertThat(builder.timeline().used()).containsExactly(10, 30);
    assertThat(builder.timeline().running()).containsExactly(1, 3);
    assertThat(builder.timeline().waiting()).containsExactly(2, 4);
    assertThat(builder.evictions()).containsExactly(new RunChart.Eviction(0.2, 5));
  }

  @Test
  void aLongOneKeepsItsExtremesAndCountsEveryEviction() {
    TimelineBuilder builder = new TimelineBuilder();
    int iterations = 1_000_000;
    for (int i = 0; i < iterations; i++) {
      long used = i == 777_777 ? 99 : i == 333_333 ? 1 : 50 + i % 3;
      builder.add(i, used, 1, 0, i % 1000 == 0 ? 1 : 0);
    }
    RunChart.Timeline timeline = builder.timeline();
    assertThat(timeline.t().length).isBetween(500, 2_000);
    assertThat(timeline.t()).isSorted();
    assertThat(timeline.used()).contains(1, 99);
    assertThat(timeline.t()).contains(777_777, 333_333);
    assertThat(builder.evictions().stream().mapToInt(RunChart.Eviction::n).sum()).isEqualTo(1000);
  }
}
