package dev.weir.scheduling.fluid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Workload;
import java.util.List;
import org.junit.jupiter.api.Test;

class FluidModelTest {
  private static final IterationCost COST = new IterationCost(0.01, 1e-5);
  private static final KvCapacity MEMORY = new KvCapacity(625, 16, 0);

  @Test
  void oneClassByHand() {
    // W = (4 + 1)(10 + 2) = 60; rho = 1e-5 * 100 * 60 = 0.06; dT = 0.01 / 0.94; M = dT * 6000.
    FluidModel model = FluidModel.of(List.of(new RequestClass(100, 10, 4)), COST, MEMORY);
    assertThat(model.work()).isEqualTo(60);
    assertThat(model.load()).isCloseTo(0.06, within(1e-12));
    assertThat(model.iterationSeconds()).isCloseTo(0.010638297872, within(1e-12));
    assertThat(model.residentTokens()).isCloseTo(63.829787234, within(1e-9));
    assertThat(model.throughput()).isEqualTo(400);
    assertThat(model.isStable()).isTrue();
    // M / C = 63.83 / 10000 is less than rho.
    assertThat(model.stabilityMargin()).isCloseTo(0.94, within(1e-12));
    // mu = 10000 / (60 (0.01 + 1e-5 * 10000)) = 10000 / 6.6.
    assertThat(model.sustainableRate()).isCloseTo(1515.151515, within(1e-6));
  }

  @Test
  void twoClassesAddUp() {
    // w = 60 and (8 + 1)(20 + 4) = 216; sum of lambda w = 30 * 60 + 10 * 216 = 3960.
    FluidModel model =
        FluidModel.of(
            List.of(new RequestClass(30, 10, 4), new RequestClass(10, 20, 8)), COST, MEMORY);
    assertThat(model.arrivalRate()).isEqualTo(40);
    assertThat(model.work()).isCloseTo(99, within(1e-12));
    assertThat(model.load()).isCloseTo(0.0396, within(1e-12));
    assertThat(model.throughput()).isCloseTo(30 * 4 + 10 * 8, within(1e-9));
    assertThat(model.residentTokens()).isCloseTo(0.01 / 0.9604 * 3960, within(1e-9));
  }

  @Test
  void workOfIndependentLengthsIsTheSumOverAllPairs() {
    LengthHistogram prompt = LengthHistogram.of(5, 5, 20, 100);
    LengthHistogram output = LengthHistogram.of(1, 7, 7, 64, 300);
    double expected = 0;
    for (int i = 0; i < prompt.size(); i++) {
      for (int j = 0; j < output.size(); j++) {
        expected +=
            prompt.probability(i)
                * output.probability(j)
                * new RequestClass(1, prompt.length(i), output.length(j)).work();
      }
    }
    FluidModel model = FluidModel.of(new Workload(2, prompt, output), COST, MEMORY);
    assertThat(model.work()).isCloseTo(expected, within(1e-9 * expected));
    assertThat(model.throughput()).isCloseTo(2 * output.mean(), within(1e-9));
  }

  @Test
  void aHistogramWithOneLengthIsTheClass() {
    FluidModel histogram =
        FluidModel.of(
            new Workload(100, LengthHistogram.of(10), LengthHistogram.of(4)), COST, MEMORY);
    FluidModel named = FluidModel.of(List.of(new RequestClass(100, 10, 4)), COST, MEMORY);
    assertThat(histogram).isEqualTo(named);
  }

  @Test
  void theSustainableRateJustFillsTheMemory() {
    Workload workload =
        new Workload(1, LengthHistogram.of(10, 30), LengthHistogram.of(20, 60, 100));
    double rate = FluidModel.of(workload, COST, MEMORY).sustainableRate();
    FluidModel atRate =
        FluidModel.of(
            new Workload(rate, workload.promptTokens(), workload.outputTokens()), COST, MEMORY);
    assertThat(atRate.residentTokens()).isCloseTo(MEMORY.tokens(), within(1e-6));
    assertThat(atRate.load()).isLessThan(1);
    FluidModel above =
        FluidModel.of(
            new Workload(1.01 * rate, workload.promptTokens(), workload.outputTokens()),
            COST,
            MEMORY);
    assertThat(above.isStable()).isFalse();
    assertThat(above.stabilityMargin()).isNegative();
  }

  @Test
  void classesSayWhichLengthsComeTogether() {
    // Long prompts get short answers: (4 + 1)(100 + 2) = 510 and (40 + 1)(10 + 20) = 1230.
    List<RequestClass> classes = List.of(new RequestClass(1, 100, 4), new RequestClass(1, 10, 40));
    Workload dependent = Workload.of(classes);
    FluidModel model = FluidModel.of(dependent, COST, MEMORY);
    assertThat(model.work()).isCloseTo(870, within(1e-9));
    assertThat(model).isEqualTo(FluidModel.of(classes, COST, MEMORY));
    Workload independent = new Workload(2, dependent.promptTokens(), dependent.outputTokens());
    // 55 * 23 + (22 + (16 + 1600) / 2) / 2.
    assertThat(FluidModel.of(independent, COST, MEMORY).work()).isCloseTo(1680, within(1e-6));
  }

  @Test
  void overloadHasNoEquilibrium() {
    // rho = 1e-5 * 2000 * 60 = 1.2.
    FluidModel model = FluidModel.of(List.of(new RequestClass(2000, 10, 4)), COST, MEMORY);
    assertThat(model.load()).isCloseTo(1.2, within(1e-12));
    assertThat(model.iterationSeconds()).isInfinite();
    assertThat(model.residentTokens()).isInfinite();
    assertThat(model.isStable()).isFalse();
    assertThat(model.stabilityMargin()).isEqualTo(Double.NEGATIVE_INFINITY);
  }

  @Test
  void refusesNonsense() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new FluidModel(0, 1, 1, COST, 1))
        .withMessageContaining("arrivalRate is 0.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new FluidModel(1, Double.NaN, 1, COST, 1))
        .withMessageContaining("work is NaN");
    assertThatIllegalArgumentException().isThrownBy(() -> new RequestClass(1, 0, 1));
    assertThatIllegalArgumentException().isThrownBy(() -> FluidModel.of(List.of(), COST, MEMORY));
  }
}
