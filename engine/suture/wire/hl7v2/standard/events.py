"""Which message structure an event has, where it is not named for the event itself (HL7 2.5.1 table 0354)."""

from __future__ import annotations

_EVENTS_OF = """\
ADT_A01 A01 A04 A08 A13
ADT_A05 A05 A14 A28 A31
ADT_A06 A06 A07
ADT_A09 A09 A10 A11 A12
ADT_A21 A21 A22 A23 A25 A26 A27 A29 A32 A33
ADT_A30 A30 A34 A35 A36 A46 A47 A48 A49
ADT_A39 A39 A40 A41 A42
ADT_A43 A43 A44
ADT_A50 A50 A51
ADT_A52 A52 A53
ADT_A54 A54 A55
ADT_A61 A61 A62
CRM_C01 C01 C02 C03 C04 C05 C06 C07 C08
CSU_C09 C09 C10 C11 C12
INU_U05 U05 U06
LSU_U12 U12 U13
MDM_T01 T01 T03 T05 T07 T09 T11
MDM_T02 T02 T04 T06 T08 T10
MFK_M01 M01 M02 M03 M04 M05 M06 M07 M08 M09 M10 M11 M12 M13 M14 M15 M16 M17
ORU_R30 R30 R31 R32
PEX_P07 P07 P08
PGL_PC6 PC6 PC7 PC8
PMU_B01 B01 B02
PPG_PCG PCG PCH PCJ
PPP_PCB PCB PCC PCD
PPR_PC1 PC1 PC2 PC3
PTR_PCF PCF PCK PCL
QBP_Q21 Q21 Q22 Q23 Q24 Q25
QCN_J01 J01 J02
RDE_O11 O11 O25
REF_I12 I12 I13 I14 I15
RPA_I08 I08 I09 I10 I11
RPI_I01 I01 I04
RQA_I08 I08 I09 I10 I11
RQI_I01 I01 I02 I03
RRE_O12 O12 O26
RRI_I12 I12 I13 I14 I15
SIU_S12 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26 S27
SLR_S28 S28 S29 S30 S34
SRM_S01 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11
SRR_S01 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11"""

STRUCTURE_OF = {
    f"{name[:3]}_{event}": name for name, _, events in (line.partition(" ") for line in _EVENTS_OF.splitlines()) for event in events.split()
}
"""Message code and event, as ADT_A08, to the structure that they share, as ADT_A01."""

_SHARED = frozenset(STRUCTURE_OF.values())


def sole_event(structure: str) -> str:
    """The event of a structure that no other event has (P03 of DFT_P03); "" for one that is shared, as ADT_A01 is, or is none."""
    code, _, event = structure.partition("_")
    return event if len(code) == 3 and len(event) == 3 and structure not in _SHARED else ""
