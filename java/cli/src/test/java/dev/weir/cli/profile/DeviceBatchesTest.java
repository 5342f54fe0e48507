package dev.weir.cli.profile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.simulation.BatchGroup;
import dev.weir.simulation.BatchNotation;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class DeviceBatchesTest {
  private static final Path MODEL =
      Path.of(System.getProperty("weir.root"), "models", "stories260K");
  private static final int LONGEST = 100;
  private static final int LONGEST_BLOCKS = 7;

  @Test
  void everyRequestHasBlocksOfItsOwnAndEveryRunComputesTheSame() {
    try (Device device = Device.open(DeviceOptions.cpu());
        Model model = Model.load(device, MODEL, ModelOptions.defaults());
        KvCache cache =
            KvCache.create(model, KvCacheOptions.ofBlocks(64).withSwapBlocks(LONGEST_BLOCKS));
        DeviceBatches batches = DeviceBatches.create(cache, 8, 64, LONGEST)) {
      for (String text :
          List.of(
              "D3x100",
              "D8x17",
              "D1x99 D1x1 P1x20@33",
              "P1x64@0",
              "P1x30@70",
              "D7x40 P1x9@0",
              "D2x100 P1x1@99")) {
        List<BatchGroup> batch = BatchNotation.parse(text);
        batches.prepare(batch);
        long tokensBefore = batch.stream().mapToLong(g -> (long) g.requests() * g.before()).sum();
        long blocksBefore =
            batch.stream().mapToLong(g -> (long) g.requests() * ((g.before() + 15) / 16)).sum();
        for (int run = 0; run < 3; run++) {
          KvCacheStatistics before = cache.statistics();
          assertThat(before.shared()).as(text).isZero();
          assertThat(before.used()).as(text).isEqualTo(LONGEST_BLOCKS + blocksBefore);
          assertThat(before.residentTokens()).as(text).isEqualTo(LONGEST - 1 + tokensBefore);
          assertThat(batches.run()).isPositive();
          KvCacheStatistics after = cache.statistics();
          assertThat(after.tokensComputed() - before.tokensComputed())
              .as(text)
              .isEqualTo(batch.stream().mapToLong(BatchGroup::computedTokens).sum());
          assertThat(after.used()).as(text).isEqualTo(before.used());
          assertThat(after.copiedOnWrite()).isEqualTo(before.copiedOnWrite());
        }
      }
    }
  }
}
