"""Names of segments, and hl7apy's names of fields in the words of the standard."""

from __future__ import annotations

import re

SEGMENTS = dict(
    line.split(" ", 1)
    for line in """\
ABS Abstract
ACC Accident
ADD Addendum
AIG Appointment Information - General Resource
AIL Appointment Information - Location Resource
AIP Appointment Information - Personnel Resource
AIS Appointment Information - Service
AL1 Patient Allergy Information
APR Appointment Preferences
ARQ Appointment Request
ARV Access Restriction
AUT Authorization Information
BHS Batch Header
BLG Billing
BPO Blood Product Order
BTS Batch Trailer
CDM Charge Description Master
CON Consent
CTD Contact Data
CTI Clinical Trial Identification
DB1 Disability
DG1 Diagnosis
DRG Diagnosis Related Group
DSC Continuation Pointer
DSP Display Data
EQU Equipment Detail
ERR Error
EVN Event Type
FAC Facility
FHS File Header
FT1 Financial Transaction
FTS File Trailer
GOL Goal Detail
GP1 Grouping/Reimbursement - Visit
GP2 Grouping/Reimbursement - Procedure Line Item
GT1 Guarantor
IAM Patient Adverse Reaction Information
IIM Inventory Item Master
ILT Material Lot
IN1 Insurance
IN2 Insurance Additional Information
IN3 Insurance Additional Information, Certification
INV Inventory Detail
IPC Imaging Procedure Control
ITM Material Item
IVT Material Location
LAN Language Detail
LCC Location Charge Code
LCH Location Characteristic
LDP Location Department
LOC Location Identification
LRL Location Relationship
MFA Master File Acknowledgment
MFE Master File Entry
MFI Master File Identification
MRG Merge Patient Information
MSA Message Acknowledgment
MSH Message Header
NK1 Next of Kin / Associated Parties
NPU Bed Status Update
NTE Notes and Comments
OBR Observation Request
OBX Observation/Result
ODS Dietary Orders, Supplements, and Preferences
ODT Diet Tray Instructions
OM1 General Segment
ORC Common Order
ORG Practitioner Organization Unit
PCE Patient Charge Cost Center Exceptions
PD1 Patient Additional Demographic
PDA Patient Death and Autopsy
PID Patient Identification
PKG Packaging
PR1 Procedures
PRA Practitioner Detail
PRB Problem Details
PRC Pricing
PRD Provider Data
PRT Participation Information
PV1 Patient Visit
PV2 Patient Visit - Additional Information
PYE Payee Information
QAK Query Acknowledgment
QPD Query Parameter Definition
QRD Query Definition
QRF Query Filter
RCP Response Control Parameter
RF1 Referral Information
RGS Resource Group
ROL Role
RQ1 Requisition Detail - 1
RQD Requisition Detail
RXA Pharmacy/Treatment Administration
RXC Pharmacy/Treatment Component Order
RXD Pharmacy/Treatment Dispense
RXE Pharmacy/Treatment Encoded Order
RXG Pharmacy/Treatment Give
RXO Pharmacy/Treatment Order
RXR Pharmacy/Treatment Route
SAC Specimen Container Detail
SCH Scheduling Activity Information
SFT Software
SPM Specimen
STF Staff Identification
STZ Sterilization Parameter
TQ1 Timing/Quantity
TQ2 Timing/Quantity Relationship
TXA Transcription Document Header
UAC User Authentication Credential
UB1 Uniform Billing Data
UB2 Uniform Billing Data, continued
VAR Variance
VND Purchasing Vendor""".splitlines()
)
"""Segment to its name, for those that patients, orders, charges and supplies need; hl7apy has no names of segments."""

_SMALL = {"a", "an", "and", "as", "at", "for", "from", "if", "in", "of", "on", "or", "per", "the", "to", "with"}
_is_abbreviation = re.compile(
    "cm|dea|dme|dnr|dob|dr|drg|eob|gtin|hcpcs|hmo|icd|ids?|iso|msds|nat|ndc|oid|pcp|ppo|ssn|uom|upin|ub82|ub92|udi|unspsc|url|va|vip"
).fullmatch


def field_name(raw: str | None, segment: str = "") -> str:
    """hl7apy's PATIENT_IDENTIFIER_LIST as Patient Identifier List, and SET_ID_FT1 as Set ID - FT1."""
    words = [word for word in re.split(r"[_\s]+", (raw or "").lower()) if word]
    if segment and len(words) > 1 and words[-1] == segment.lower():
        return f"{field_name('_'.join(words[:-1]))} - {segment}"
    named = [_word(word, first=i == 0) for i, word in enumerate(words)]
    return " ".join(named).replace("Date Time", "Date/Time").replace(" S ", "'s ")


def _word(word: str, first: bool) -> str:
    if _is_abbreviation(word) or (word.isalnum() and not word.isalpha() and len(word) == 3):
        return word.upper()
    return word if word in _SMALL and not first else word[:1].upper() + word[1:]
