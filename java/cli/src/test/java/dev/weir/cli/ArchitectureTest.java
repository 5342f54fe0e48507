package dev.weir.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The arrows between the modules go one way: scheduling &lt;- engine -&gt; runtime; scheduling
 * &lt;- simulation; both -&gt; timeline; cli -&gt; all.
 */
class ArchitectureTest {
  private static final String SCHEDULING = "dev.weir.scheduling..";
  private static final String SIMULATION = "dev.weir.simulation..";
  private static final String TIMELINE = "dev.weir.timeline..";
  private static final String RUNTIME = "dev.weir.runtime..";
  private static final String ENGINE = "dev.weir.engine..";
  private static final String CLI = "dev.weir.cli..";
  private static final String FFI = "dev.weir.runtime.internal.ffi..";

  private static JavaClasses weir;

  @BeforeAll
  static void importClasses() {
    weir =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.weir");
  }

  @Test
  void everyModuleIsLookedAt() {
    assertThat(weir.contain(dev.weir.scheduling.Scheduler.class)).isTrue();
    assertThat(weir.contain(dev.weir.simulation.Simulation.class)).isTrue();
    assertThat(weir.contain(dev.weir.timeline.ServingTimeline.class)).isTrue();
    assertThat(weir.contain(dev.weir.runtime.KvCache.class)).isTrue();
    assertThat(weir.contain(dev.weir.engine.Engine.class)).isTrue();
    assertThat(weir.contain(Weir.class)).isTrue();
  }

  @Test
  void schedulingIsPureJava() {
    classes()
        .that()
        .resideInAPackage(SCHEDULING)
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            SCHEDULING, "java.lang", "java.util", "java.util.function", "java.util.stream")
        .check(weir);
  }

  @Test
  void schedulingKnowsNoClockAndNoThread() {
    noClasses()
        .that()
        .resideInAPackage(SCHEDULING)
        .should()
        .callMethod(System.class, "nanoTime")
        .orShould()
        .callMethod(System.class, "currentTimeMillis")
        .orShould()
        .dependOnClassesThat()
        .areAssignableTo(Thread.class)
        .check(weir);
  }

  @Test
  void simulationKnowsNothingButSchedulingAndNoClock() {
    noClasses()
        .that()
        .resideInAPackage(SIMULATION)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(RUNTIME, ENGINE, CLI)
        .orShould()
        .callMethod(System.class, "nanoTime")
        .orShould()
        .callMethod(System.class, "currentTimeMillis")
        .check(weir);
  }

  @Test
  void timelineKnowsNobody() {
    noClasses()
        .that()
        .resideInAPackage(TIMELINE)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(SCHEDULING, SIMULATION, RUNTIME, ENGINE, CLI)
        .check(weir);
  }

  @Test
  void runtimeKnowsNeitherEngineNorPolicies() {
    noClasses()
        .that()
        .resideInAPackage(RUNTIME)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(SCHEDULING, SIMULATION, TIMELINE, ENGINE, CLI)
        .check(weir);
  }

  @Test
  void engineKnowsNeitherTheCommandNorTheSimulation() {
    noClasses()
        .that()
        .resideInAPackage(ENGINE)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(CLI, SIMULATION)
        .check(weir);
  }

  @Test
  void onlyTheBindingTouchesForeignMemory() {
    noClasses()
        .that()
        .resideOutsideOfPackage(FFI)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("java.lang.foreign..")
        .check(weir);
  }

  @Test
  void nobodyElseUsesTheInternalsOfTheRuntime() {
    noClasses()
        .that()
        .resideOutsideOfPackage(RUNTIME)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.weir.runtime.internal..")
        .check(weir);
  }
}
