package dev.weir.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class EvictionTimesTest {
  /** Iterations of 10 units that end at 10, 20, ... 200; some of them evict. */
  private static List<IterationSample> iterations(Set<Long> evicting) {
    List<IterationSample> iterations = new ArrayList<>();
    for (long time = 10; time <= 200; time += 10) {
      iterations.add(new IterationSample(time, 10, 1, 1, 1, 1, evicting.contains(time) ? 1 : 0));
    }
    return iterations;
  }

  @Test
  void aRequestThatWasNeverEvictedHasNone() {
    assertThat(EvictionTimes.of(0, 0, new long[] {10, 90}, iterations(Set.of(20L)))).isEmpty();
  }

  @Test
  void findsThePauseThatBeginsWithAnEviction() {
    // No token at 50, 60, 70: somebody was evicted in the iteration from 40 to 50.
    assertThat(
            EvictionTimes.of(
                1, 0, new long[] {10, 20, 30, 40, 80, 90}, iterations(Set.of(20L, 50L, 60L, 90L))))
        .containsExactly(40);
  }

  @Test
  void anEvictionOfAnotherRequestIsNoPause() {
    // It paused from 110 to 150 as well, but in no iteration that evicted.
    assertThat(
            EvictionTimes.of(
                1, 0, new long[] {10, 20, 60, 70, 110, 150}, iterations(Set.of(20L, 30L, 70L))))
        .containsExactly(20);
  }

  @Test
  void findsAnEvictionBeforeTheFirstToken() {
    assertThat(EvictionTimes.of(1, 5, new long[] {100, 110}, iterations(Set.of(30L))))
        .containsExactly(20);
  }

  @Test
  void takesTheLongestPausesInOrderOfTime() {
    long[] tokens = {10, 60, 70, 80, 110, 120, 190};
    List<IterationSample> iterations = iterations(Set.of(20L, 90L, 130L));
    assertThat(EvictionTimes.of(3, 0, tokens, iterations)).containsExactly(10, 80, 120);
    assertThat(EvictionTimes.of(2, 0, tokens, iterations)).containsExactly(10, 120);
  }
}
