package dev.weir.cli.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class MemoryBudgetTest {
  @Test
  void theRestIsForKeysAndValues() {
    MemoryBudget budget = MemoryBudget.of(1000, 0.9, 500, 50, 100);
    assertThat(budget.unusedBytes()).isEqualTo(100);
    assertThat(budget.kvBytes()).isEqualTo(350);
    assertThat(budget.pool(16).blocks()).isEqualTo(3);
  }

  @Test
  void aModelThatDoesNotFitIsRefusedWithTheSettingsToTurn() {
    assertThatThrownBy(() -> MemoryBudget.of(1000, 0.9, 801, 0, 100))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "no KV block of 100 bytes fits: 0.9 of 1,000 bytes less 801 for weights and 0 for"
                + " activations leave 99 (--memory, --memory-utilization, --dtype,"
                + " --activation-reserve)");
  }
}
