package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.KvCapacity;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class ResidentsTest {
  private static final KvCapacity TOKENS = new KvCapacity(100, 1, 0);
  private static final KvCapacity BLOCKS = new KvCapacity(100, 16, 0);

  /** 10, 11, 12, gone; 5, 6, 7, 8, 9: the third iteration needs 12 + 7. */
  @Test
  void needGrowsUntilTheFirstEnds() {
    Residents residents = new Residents(new int[] {10, 2}, new int[] {0, 3}, new int[] {3, 8});
    assertThat(residents.blocks(TOKENS, 1)).isEqualTo(15);
    assertThat(residents.blocks(TOKENS, 3)).isEqualTo(19);
    assertThat(residents.blocks(TOKENS, 4)).isEqualTo(8);
    assertThat(residents.blocks(TOKENS, 6)).isZero();
    assertThat(residents.peakBlocks(TOKENS)).isEqualTo(19);
    assertThat(residents.ending(new int[] {3, 33}).peakBlocks(TOKENS)).isEqualTo(34);
  }

  @Test
  void everyResidentIsRoundedUpByItself() {
    Residents residents = new Residents(new int[] {16, 16}, new int[] {0, 0}, new int[] {1, 1});
    assertThat(residents.peakBlocks(BLOCKS)).isEqualTo(2);
    assertThat(residents.ending(new int[] {2, 2}).peakBlocks(BLOCKS)).isEqualTo(4);
  }

  @Property
  void peakIsThatOfAllIterations(
      @ForAll @Size(min = 1, max = 12) int[] seeds,
      @ForAll @IntRange(min = 1, max = 32) int block) {
    int[] prompts = new int[seeds.length];
    int[] generated = new int[seeds.length];
    int[] outputs = new int[seeds.length];
    for (int i = 0; i < seeds.length; i++) {
      prompts[i] = 1 + Math.floorMod(seeds[i], 97);
      generated[i] = Math.floorMod(seeds[i] / 97, 13);
      outputs[i] = generated[i] + 1 + Math.floorMod(seeds[i] / 1261, 61);
    }
    KvCapacity memory = new KvCapacity(1000, block, 0);
    Residents residents = new Residents(prompts, generated, outputs);
    long peak = 0;
    for (int step = 1; step <= 61; step++) {
      peak = Math.max(peak, residents.blocks(memory, step));
    }
    assertThat(residents.peakBlocks(memory)).isEqualTo(peak);
  }
}
