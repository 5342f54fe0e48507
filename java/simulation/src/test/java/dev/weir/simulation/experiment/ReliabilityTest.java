package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.simulation.experiment.OverflowJudge.Judgement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class ReliabilityTest {
  private static final Offset<Double> ROUNDING = within(1e-12);

  @Test
  void scoresByHand() {
    Reliability reliability =
        Reliability.of(
            List.of(
                new Judgement(0.9, true),
                new Judgement(0.1, false),
                new Judgement(0.6, false),
                new Judgement(0.2, true)));
    assertThat(reliability.predictions()).isEqualTo(4);
    assertThat(reliability.meanPredicted()).isEqualTo(0.45, ROUNDING);
    assertThat(reliability.realised()).isEqualTo(0.5, ROUNDING);
    assertThat(reliability.brierScore()).isEqualTo((0.01 + 0.01 + 0.36 + 0.64) / 4, ROUNDING);
    assertThat(reliability.constantBrierScore()).isEqualTo(0.25, ROUNDING);
  }

  @Test
  void tenGroupsOfTheSameSize() {
    List<Judgement> judgements = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      judgements.add(new Judgement(i / 1000.0, i % 4 == 0));
    }
    Collections.reverse(judgements);
    List<Reliability.Group> groups = Reliability.of(judgements).groups();
    assertThat(groups).extracting(Reliability.Group::predictions).hasSize(10).containsOnly(100);
    assertThat(groups).extracting(Reliability.Group::realised).containsOnly(0.25);
    assertThat(groups.getFirst().from()).isZero();
    assertThat(groups.getLast().to()).isEqualTo(0.999);
    assertThat(groups.get(3).meanPredicted()).isEqualTo(0.3495, ROUNDING);
  }

  @Test
  void equalPredictionsStayTogether() {
    List<Judgement> judgements = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      judgements.add(new Judgement(i < 85 ? 0 : i / 100.0, false));
    }
    assertThat(Reliability.of(judgements).groups())
        .extracting(Reliability.Group::predictions)
        .containsExactly(85, 5, 10);
  }

  @Test
  void trueProbabilitiesLieOnTheDiagonal() {
    SplittableRandom random = new SplittableRandom(7);
    List<Judgement> judgements = new ArrayList<>();
    for (int i = 0; i < 50_000; i++) {
      double probability = random.nextDouble();
      judgements.add(new Judgement(probability, random.nextDouble() < probability));
    }
    assertThat(Reliability.of(judgements).groups())
        .allSatisfy(
            group -> assertThat(group.realised()).isEqualTo(group.meanPredicted(), within(0.03)));
  }
}
