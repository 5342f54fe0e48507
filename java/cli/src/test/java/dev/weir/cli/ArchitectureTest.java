package dev.weir.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/**
 * The arrows between the modules go one way: scheduling &lt;- engine -&gt; runtime; cli -&gt; all.
 */
@AnalyzeClasses(packages = "dev.weir", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
  private static final String SCHEDULING = "dev.weir.scheduling..";
  private static final String RUNTIME = "dev.weir.runtime..";
  private static final String ENGINE = "dev.weir.engine..";
  private static final String CLI = "dev.weir.cli..";
  private static final String FFI = "dev.weir.runtime.internal.ffi..";

  /** Pure Java: no I/O, no thread, no foreign memory, no library. */
  @ArchTest
  static final ArchRule schedulingDependsOnTheJdkAlone =
      classes()
          .that()
          .resideInAPackage(SCHEDULING)
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(SCHEDULING, "java.lang", "java.util..");

  @ArchTest
  static final ArchRule schedulingKnowsNoClock =
      noClasses()
          .that()
          .resideInAPackage(SCHEDULING)
          .should()
          .callMethod(System.class, "nanoTime")
          .orShould()
          .callMethod(System.class, "currentTimeMillis");

  @ArchTest
  static final ArchRule runtimeKnowsNeitherEngineNorPolicies =
      noClasses()
          .that()
          .resideInAPackage(RUNTIME)
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(SCHEDULING, ENGINE, CLI);

  @ArchTest
  static final ArchRule engineDoesNotKnowTheCommand =
      noClasses()
          .that()
          .resideInAPackage(ENGINE)
          .should()
          .dependOnClassesThat()
          .resideInAPackage(CLI);

  @ArchTest
  static final ArchRule onlyTheBindingTouchesForeignMemory =
      noClasses()
          .that()
          .resideInAPackage("dev.weir..")
          .and()
          .resideOutsideOfPackage(FFI)
          .should()
          .dependOnClassesThat()
          .resideInAPackage("java.lang.foreign..");

  @ArchTest
  static final ArchRule nobodyElseUsesTheInternalsOfTheRuntime =
      noClasses()
          .that()
          .resideOutsideOfPackage(RUNTIME)
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.weir.runtime.internal..");
}
