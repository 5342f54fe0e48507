package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class EntranceWalkTest {
  private static final int HORIZON = 2000;

  @Test
  void boundsOfTheSpecification() {
    assertThat(new EntranceWalk(20, 0.5, 11).bound(HORIZON, 0.05)).isEqualTo(37.3, within(0.05));
    assertThat(new EntranceWalk(20, 0.3, 8).bound(HORIZON, 0.05)).isEqualTo(20.2, within(0.05));
    assertThat(new EntranceWalk(8, 0.5, 5).bound(HORIZON, 0.05)).isEqualTo(15.1, within(0.05));
  }

  @Test
  void boundsAreRarelyBroken() {
    SplittableRandom random = new SplittableRandom(3);
    EntranceWalk walk = new EntranceWalk(8, 0.5, 5);
    double bound = walk.bound(HORIZON, 0.05);
    int broken = 0;
    for (int i = 0; i < 200; i++) {
      broken += walk.peakOfWalk(HORIZON, random) > bound ? 1 : 0;
    }
    assertThat(broken).isLessThan(10);
  }

  @Test
  void walkDominatesTheQueue() {
    EntranceWalk walk = new EntranceWalk(8, 0.5, 5);
    for (int seed = 0; seed < 100; seed++) {
      int byWalk = walk.peakOfWalk(HORIZON, new SplittableRandom(seed));
      int byQueue = walk.peakOfQueue(HORIZON, new SplittableRandom(seed));
      assertThat(byQueue).isLessThanOrEqualTo(byWalk);
    }
  }

  @Test
  void nobodyGoesOn() {
    EntranceWalk walk = new EntranceWalk(5, 0, 2);
    assertThat(walk.peakOfWalk(10, new SplittableRandom(1))).isEqualTo(2);
    assertThat(walk.peakOfQueue(10, new SplittableRandom(1))).isZero();
  }
}
