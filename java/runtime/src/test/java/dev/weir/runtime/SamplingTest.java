package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplingTest {
  @Test
  void greedyIsTheNeutralElement() {
    assertThat(Sampling.greedy()).isEqualTo(new Sampling(0, 0, 1, 1, 0, 0));
  }

  @Test
  void theLimitsThemselvesAreAllowed() {
    Sampling sampling =
        new Sampling(Float.MAX_VALUE, Integer.MAX_VALUE, Float.MIN_VALUE, Float.MIN_VALUE, -1, 64);
    assertThat(sampling.withTemperature(0).withTopK(0).withTopP(1).withRepetitionPenalty(1))
        .isEqualTo(Sampling.greedy().withSeed(-1).withTopLogProbabilities(64));
  }

  @ParameterizedTest
  @ValueSource(floats = {-0.1f, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void temperatureOutOfRange(float temperature) {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Sampling.greedy().withTemperature(temperature))
        .withMessage("temperature is " + temperature + ", must be finite and at least 0");
  }

  @ParameterizedTest
  @ValueSource(floats = {0, -0.5f, 1.0001f, Float.NaN, Float.POSITIVE_INFINITY})
  void topPOutOfRange(float topP) {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Sampling.greedy().withTopP(topP))
        .withMessage("topP is " + topP + ", must be greater than 0 and at most 1");
  }

  @ParameterizedTest
  @ValueSource(floats = {0, -1, Float.NaN, Float.POSITIVE_INFINITY})
  void repetitionPenaltyOutOfRange(float penalty) {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Sampling.greedy().withRepetitionPenalty(penalty))
        .withMessage("repetitionPenalty is " + penalty + ", must be finite and greater than 0");
  }

  @Test
  void topKOutOfRange() {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Sampling.greedy().withTopK(-1))
        .withMessage("topK is -1, must be at least 0 (0 = all tokens)");
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 65, Integer.MAX_VALUE})
  void topLogProbabilitiesOutOfRange(int count) {
    assertThatExceptionOfType(InvalidArgumentException.class)
        .isThrownBy(() -> Sampling.greedy().withTopLogProbabilities(count))
        .withMessage("topLogProbabilities is " + count + ", must be from 0 to 64");
  }
}
