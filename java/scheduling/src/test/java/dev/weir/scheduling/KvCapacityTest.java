package dev.weir.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class KvCapacityTest {
  @Test
  void capacityInTokensCannotOverflow() {
    assertThat(new KvCapacity(Long.MAX_VALUE / 16, 16, 0).tokens()).isEqualTo(Long.MAX_VALUE - 15);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new KvCapacity(Long.MAX_VALUE / 16 + 1, 16, 0))
        .withMessageContaining("must be at most 576460752303423487 with a blockSize of 16");
  }
}
