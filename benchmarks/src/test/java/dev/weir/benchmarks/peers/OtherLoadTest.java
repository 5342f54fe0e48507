package dev.weir.benchmarks.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class OtherLoadTest {
  private static final String SELF =
      "77 (a (b) c) S 1 77 77 0 -1 4194304 900 0 1 0 %d %d %d %d 20 0";

  @Test
  void whatIsNeitherIdleNorOursBelongsToOthers() {
    OtherLoad.Times start =
        OtherLoad.parse("cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 1 2 3", SELF.formatted(10, 5, 0, 0));
    OtherLoad.Times end =
        OtherLoad.parse(
            "cpu  200 10 60 1050 20 0 5 15 0 0\ncpu0 1 2 3", SELF.formatted(20, 6, 70, 3));

    // 200 ticks, 60 of them idle or waiting for a disk, 84 ours.
    assertThat(end.others(start)).isCloseTo(56 / 200.0, within(1e-9));
  }

  @Test
  void theTimeOfChildrenThatEndedCountsAsOurs() throws Exception {
    OtherLoad.Times start = times();
    Process busy =
        new ProcessBuilder("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").start();
    assertThat(busy.waitFor()).isZero();

    assertThat(times().own()).isGreaterThan(start.own());
  }

  private static OtherLoad.Times times() throws Exception {
    return OtherLoad.parse(
        Files.readString(Path.of("/proc/stat")), Files.readString(Path.of("/proc/self/stat")));
  }
}
